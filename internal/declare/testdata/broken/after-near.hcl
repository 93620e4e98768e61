stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  after = [service.bd, task.migrat]
}
service "db" {
  image = image.web
  ports = { sql = 5432 }
}
task "migrate" {
  image = image.web
}
