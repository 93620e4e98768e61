stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image  = image.web
  ports  = { web = 8080 }
  health = http("/healthz")
}
