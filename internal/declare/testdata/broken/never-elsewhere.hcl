stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  update {
    warm = never("why")
  }
}
