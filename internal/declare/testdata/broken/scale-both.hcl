stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  instances = 3
  instances {
    min = 2
    max = 10
  }
}
