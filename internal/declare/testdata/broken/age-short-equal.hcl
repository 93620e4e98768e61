stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  max_age = "90s"
}
