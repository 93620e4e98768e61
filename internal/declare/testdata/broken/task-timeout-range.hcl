stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
task "migrate" {
  image = image.web
  timeout = "2d"
}
