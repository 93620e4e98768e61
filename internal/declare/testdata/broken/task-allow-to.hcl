stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
}
task "migrate" {
  image = image.web
}
allow {
  from = service.web
  to   = task.migrate.port.http
}
