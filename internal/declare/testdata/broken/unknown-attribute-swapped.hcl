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
  port "http" {
    number = 8080
    protocl = "http"
  }
  health = http("/healthz")
}
