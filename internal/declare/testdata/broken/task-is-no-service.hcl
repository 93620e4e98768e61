stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
task "migrate" {
  image = image.web
  instances = 2
  standby   = 1
  max_age   = "1h"
  canary    = 1
  bake      = "10s"
  promote   = "manual"
  warm      = "10m"
}
