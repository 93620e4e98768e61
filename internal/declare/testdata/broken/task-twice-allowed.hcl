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
  from = task.migrate
  to   = service.db.port.sql
}
allow {
  from = task.migrate
  to   = service.db.port.sql
}
