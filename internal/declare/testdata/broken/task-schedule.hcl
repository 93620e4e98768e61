stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
task "migrate" {
  image = image.web
  schedule = "0 3 * * *"
}
