stack "shop" {}
image "web" {
  from       = "scratch"
  entrypoint = ["/web"]
  copy {
    from = "bin/web"
    to   = "/web"
  }
}
service "cache" {
  image = image.web
  ports = { redis = 6379 }
}
service "web" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  env = { CACHE = service.cahce.port.redis.address }
}
