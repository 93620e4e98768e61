stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  instances {
    min = 1
    max = 2
  }
  volume "data" {
    path = "/data"
    size = "1GiB"
  }
}
