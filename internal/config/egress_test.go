package config

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEgressIsTakenAsItIsWritten(t *testing.T) {
	c, err := Load(map[string]string{
		"neuroscale:serving": `{"modelStores":[{"cidr":"10.88.0.0/16","ports":[4443]}]}`,
		"neuroscale:tenants": `[{"egress":[{"cidr":"203.0.113.7/32","ports":[443,5432]}]}]`,
	})
	require.NoError(t, err)
	assert.Equal(t, []Egress{{CIDR: "10.88.0.0/16", Ports: []int{4443}}}, c.Serving.ModelStores)
	assert.Equal(t, []Egress{{CIDR: "203.0.113.7/32", Ports: []int{443, 5432}}}, c.Tenants[0].Egress)
}

func TestAWideRangeDoesNotMeanTheClustersOwnAddresses(t *testing.T) {
	for cidr, want := range map[string][]string{
		"0.0.0.0/0":      {"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"},
		"::/0":           {"fc00::/7", "fe80::/10"},
		"160.0.0.0/3":    {"169.254.0.0/16", "172.16.0.0/12"},
		"10.0.0.0/8":     nil,
		"10.88.0.0/16":   nil,
		"203.0.113.0/24": nil,
	} {
		assert.Equal(t, want, Egress{CIDR: cidr}.Except(), cidr)
	}
}

func TestEgressThatCannotWorkOrWouldGiveTheNodeAwayIsRefused(t *testing.T) {
	for value, want := range map[string]string{
		`{"cidr":"10.1.2.3","ports":[1]}`:            `cidr is "10.1.2.3": write addresses such as 203.0.113.0/24, or 203.0.113.7/32 for one`,
		`{"cidr":"storage.example","ports":[1]}`:     `cidr is "storage.example": write addresses such as 203.0.113.0/24, or 203.0.113.7/32 for one`,
		`{"cidr":"10.1.2.3/24","ports":[1]}`:         `cidr is "10.1.2.3/24": write 10.1.2.0/24, the network that this address is in, or /32 (IPv6: /128) behind it for one address`,
		`{"cidr":"169.254.169.254/32","ports":[80]}`: `cidr is "169.254.169.254/32": write addresses outside 169.254.0.0/16, where a cloud hands out the credentials of its nodes`,
		`{"cidr":"10.0.0.0/8"}`:                      `ports is []: write at least one port, such as 443`,
		`{"cidr":"10.0.0.0/8","ports":[65536]}`:      `ports[0] is 65536: write a number from 1 to 65535`,
		`{"cidr":"10.0.0.0/8","ports":["https"]}`:    `ports[0] is "https": write a whole number, without quotes`,
	} {
		_, err := Load(map[string]string{"neuroscale:serving": `{"modelStores":[` + value + `]}`})
		assert.EqualError(t, err, "neuroscale:serving.modelStores[0]."+want)
		_, err = Load(map[string]string{"neuroscale:tenants": `[{"egress":[` + value + `]}]`})
		assert.EqualError(t, err, "neuroscale:tenants[0].egress[0]."+want)
	}
}
