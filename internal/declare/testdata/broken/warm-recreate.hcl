stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  update {
    strategy = "recreate"
    warm     = "10m"
  }
}
