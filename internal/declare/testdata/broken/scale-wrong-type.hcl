stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  instances {
    min = 5
    max = "ten"
  }
  update {
    canary = 20
    unavailable = 20
  }
}
