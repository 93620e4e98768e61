stack "shop" {}
image "web" {
  from       = "scratch"
  entrypoint = ["/web"]
  copy {
    from = "bin/web"
    to   = "/web"
  }
}
service "web" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  env = { A = service[0].x, B = self.port, C = service.*.port }
}
