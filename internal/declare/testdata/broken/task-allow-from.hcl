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
}
allow {
  from = service.migrate
  to   = service.db.port.sql
}
allow {
  from = task.migrat
  to   = service.db.port.sql
}
allow {
  from = task.migrate.port.sql
  to   = service.db.port.sql
}
