stack "shop" {}
image "web" {
  entrypoint = ["/web"]
  copy {
    from = "bin/web"
  }
}
service "web" {
  port "http" {
    protocol = "http"
  }
  health = http("/healthz")
}
route "shop.localhost" {}
allow {
  from = service.web
}
