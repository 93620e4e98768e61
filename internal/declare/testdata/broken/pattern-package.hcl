stack "shop" {}
image "web" {
  from       = debian("bookworm")
  packages = ["redis=5:7.0", "Redis", "a,b", ""]
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
