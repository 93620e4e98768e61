stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  instances = 2
  max_age   = "1h"
  update {
    canary = 1
    bake   = "45m"
  }
}
