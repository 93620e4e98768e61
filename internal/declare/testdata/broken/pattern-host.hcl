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
}
route "Shop.Example.org" {
  to = service.web.port.http
}
route "http://shop.example.org/" {
  to = service.web.port.http
}
route "*.example.org" {
  to = service.web.port.http
}
route "10.0.0.1" {
  to = service.web.port.http
}
route "a_b" {
  to = service.web.port.http
}
