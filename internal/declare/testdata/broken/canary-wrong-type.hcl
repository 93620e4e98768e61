stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  instances = 1
  max_age   = "soon"
  update {
    canary  = "one"
    bake    = "2d"
    promote = "manual"
  }
}
