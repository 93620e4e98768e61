stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  volume "data" {
    path = "/data"
    size = "1GiB"
  }
  update {
    canary = 1
  }
}
