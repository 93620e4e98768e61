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
  volume "data" {
    path = "/a"
    size = "1GiB"
  }
  volume "data" {
    path = "/b"
    size = "1GiB"
  }
}
