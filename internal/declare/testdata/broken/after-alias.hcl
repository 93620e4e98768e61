stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  depends_on = [service.db]
}
service "db" {
  image = image.web
  ports = { sql = 5432 }
}
