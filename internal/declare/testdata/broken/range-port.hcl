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
  ports = { http = 0, http-admin = 65536 }
  health = http("/", "http")
}
