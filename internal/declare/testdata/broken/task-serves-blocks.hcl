stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
task "migrate" {
  image = image.web
  port "http" {
    number = 8080
  }
  health {
    http {
      path = "/"
    }
  }
}
