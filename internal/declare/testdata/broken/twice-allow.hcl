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
service "cache" {
  image = image.web
  ports = { redis = 6379 }
}
allow {
  from = service.web
  to   = service.cache.port.redis
}
allow {
  from = service.web
  to   = service.cache.port.redis
}
