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
  health {
    interval      = "10s"
    unready_after = 5
    replace_after = "30s"
    http {
      path = "/"
    }
  }
}
