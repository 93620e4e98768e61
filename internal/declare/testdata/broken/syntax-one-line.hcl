stack "shop" {}
image "web" {
  from       = "scratch"
  entrypoint = ["/web"]
  copy {
    from = "bin/web"
    to   = "/web"
  }
}
service "web" { image = image.web, instances = 1 }
