// Command quit says why and ends with status 7: a program that cannot work.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Println("cannot find my configuration")
	os.Exit(7)
}
