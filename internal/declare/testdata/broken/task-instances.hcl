stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
task "migrate" {
  image = image.web
  instances {
    min = 1
    max = 2
  }
}
