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
  port "web" {
    number = 8080
  }
  health = tcp("web")
}
route "shop.localhost" {
  to = service.web.port.web
}
