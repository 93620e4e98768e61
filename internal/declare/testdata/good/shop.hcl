stack "shop" {}

image "web" {
  from       = "scratch"
  entrypoint = ["/web"]
  copy {
    from = "bin/web"
    to   = "/web"
  }
}

image "redis" {
  from       = debian("bookworm")
  packages   = ["redis-server"]
  entrypoint = ["/usr/bin/redis-server", "--protected-mode", "no"]
}

service "web" {
  image     = image.web
  instances = 3
  max_age   = "1h"
  env       = { CACHE = service.cache.port.redis.address }

  port "http" {
    number = 8080
  }
  health {
    http {
      port = "http"
      path = "/healthz"
    }
  }
  update {
    canary = 1
    bake   = "10s"
  }
  resources {
    memory = "64MiB"
    cpu    = "250m"
  }
}

service "cache" {
  image = image.redis
  port "redis" {
    number = 6379
  }
  volume "data" {
    path = "/data"
    size = "1GiB"
  }
}

route "shop.localhost" {
  to = service.web.port.http
}

allow {
  from = service.web
  to   = service.cache.port.redis
}
