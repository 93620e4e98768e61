stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  instances = 2
  max_age   = "50s"
  update {
    canary       = 1
    start_within = "5s"
    grace        = "5s"
  }
}
