stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
task "migrate" {
  image = image.web
  volume "data" {
    path = "/data"
    size = "1GiB"
  }
}
