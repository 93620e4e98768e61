# A small shop: three instances behind a host name, and a cache that keeps the visit counter on a volume.
stack "shop" {}

image "web" {
  from       = "scratch"
  entrypoint = ["/web"]
  copy {
    from = "bin/web"
    to   = "/web"
  }
}

# The root of an instance is read-only: Redis may write to its volume and nowhere else.
image "redis" {
  from     = debian("bookworm")
  packages = ["redis-server"]
  entrypoint = [
    "/usr/bin/redis-server",
    "--bind", "0.0.0.0",
    "--protected-mode", "no",
    "--dir", "/data",
    "--save", "60 1",
    "--appendonly", "no",
  ]
}

service "web" {
  image     = image.web
  instances = 3
  max_age   = "1h"
  env = {
    VERSION = "1"
    CACHE   = service.cache.port.redis.address
  }

  port "http" {
    number = 8080
  }
  health {
    http {
      port = "http"
      path = "/healthz"
    }
  }
  # One instance of a new version proves itself for a while before the two others follow. What fails there is undone.
  update {
    canary = 1
    bake   = "5s"
  }
  resources {
    memory = "64MiB"
    cpu    = "250m"
  }
}

# Only one instance may hold the volume, so the old one goes before the new one comes.
service "cache" {
  image = image.redis

  port "redis" {
    number   = 6379
    protocol = "tcp"
  }
  volume "data" {
    path = "/data"
    size = "1GiB"
  }
  health {
    tcp {
      port = "redis"
    }
  }
  # The shop keeps its connections open; it can do without the cache, so there is little to wait for.
  update {
    strategy = "recreate"
    grace    = "5s"
  }
}

route "shop.localhost" {
  to = service.web.port.http
}

allow {
  from = service.web
  to   = service.cache.port.redis
}
