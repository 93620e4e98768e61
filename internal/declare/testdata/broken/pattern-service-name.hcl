stack "shop" {}
image "web" {
  from       = "scratch"
  entrypoint = ["/web"]
  copy {
    from = "bin/web"
    to   = "/web"
  }
}
service "Web App" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
}
service "9lives" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
}
