stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  standby = 1
  volume "data" {
    path = "/data"
    size = "1GiB"
  }
  update {
    strategy = "recreate"
    warm     = "1h"
  }
}
