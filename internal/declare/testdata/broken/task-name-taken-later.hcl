stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
task "web" {
  image = image.web
}
service "web" {
  image = image.web
}
