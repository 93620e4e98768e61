stack "shop" {}
service "web" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
}
