stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  update {
    canary  = 0
    bake    = "10s"
    promote = "manual"
  }
}
