stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "db" {
  image = image.web
  ports = { sql = 5432 }
}
task "migrate" {
  image = image.web
  env = { DB = service.db.port.sql.address }
}
