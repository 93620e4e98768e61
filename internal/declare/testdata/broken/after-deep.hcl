stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  after = [[service.db]]
}
service "db" {
  image = image.web
  ports = { sql = 5432 }
}
