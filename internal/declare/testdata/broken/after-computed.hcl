stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  after = [for s in service : s]
}
