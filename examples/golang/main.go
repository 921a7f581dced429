// Command hello answers every request with the dyno and the release that made the page.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/hako/durafmt"
)

var started = time.Now()

func main() {
	http.HandleFunc("/", answer)
	address := "0.0.0.0:" + variable("PORT", "5000")
	log.Print("Listening on ", address)
	log.Fatal(http.ListenAndServe(address, nil))
}

func answer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "Hello from Go on %s, release %s\n", variable("DYNO", "?"), variable("HEROKU_RELEASE_VERSION", "?"))
	fmt.Fprintf(w, "Up for %s\n", durafmt.Parse(time.Since(started).Truncate(time.Second)))
}

func variable(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
