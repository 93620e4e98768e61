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
  update {
    strategy = "recreate"
    surge    = 1
  }
}
service "api" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  update {
    strategy    = "recreate"
    unavailable = 0
  }
}
