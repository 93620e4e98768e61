stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  instances = 2
  update {
    canary = 1
    bake   = "30d"
  }
}
