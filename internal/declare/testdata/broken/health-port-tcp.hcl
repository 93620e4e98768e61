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
  ports = { web = 8080 }
  health {
    http {
      port = "web"
      path = "/"
    }
  }
}
