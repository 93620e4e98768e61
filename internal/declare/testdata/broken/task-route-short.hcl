stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
task "migrate" {
  image = image.web
}
route "shop.localhost" {
  to = task.migrate
}
