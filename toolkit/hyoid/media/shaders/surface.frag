#version 330 core
// SPDX-License-Identifier: Apache-2.0
// Skin, eyes and teeth under three lights and a small studio; output is sRGB after a filmic curve.
in vec3 point;
in vec3 normal_smooth;
in vec2 place;
in float sky;
in vec3 shadow_place;

uniform vec3 camera;
uniform vec3 light_direction[4];  // towards the light: key, fill, rim left, rim right
uniform vec3 light_colour[4];
uniform vec3 sky_colour;
uniform vec3 ground_colour;
uniform float exposure;
uniform mat4 shadow_matrix;
uniform sampler2DShadow shadow_map;
uniform float shadow_spread;      // radius of the soft edge, in map units

uniform vec4 base;
uniform float roughness;
uniform float metallic;
uniform float subsurface;
uniform int has_colour_map;
uniform int has_normal_map;
uniform int has_roughness_map;
uniform int alpha_mode;           // 0 opaque, 1 mask, 2 blend
uniform float coat;               // 1: clear, but its reflections count in full (cornea, tear line)
uniform sampler2D colour_map;
uniform sampler2D normal_map;
uniform sampler2D roughness_map;

out vec4 colour;

const float PI = 3.14159265;
const int TAPS = 10;
const float LIFT = 0.004;  // metres

// The share of the key light that arrives. The look-ups follow the surface's own plane in the map, so that a wide soft
// edge does not shadow the surface it lies on. Where the surface turns away from the light (facing near 0), they are
// lifted off it: light wraps around a cheek, yet not into the shadow of the jaw.
float lit_by_key(vec3 n, float facing) {
    float turned = smoothstep(0.3, 0.04, facing);
    vec3 m = mat3(shadow_matrix) * n;
    vec3 at = shadow_place + 0.5 * LIFT * turned * m;
    vec2 slope = (1.0 - turned) * clamp(-m.xy / min(m.z, -1e-4 * length(m)), -4.0, 4.0);
    // A sunflower pattern, turned from pixel to pixel (interleaved gradient noise) so that no rings show.
    float turn = 6.2832 * fract(52.9829189 * fract(dot(floor(gl_FragCoord.xy), vec2(0.06711056, 0.00583715))));
    float sum = 0.0;
    for (int i = 0; i < TAPS; ++i) {
        float angle = 2.3999632 * float(i) + turn;
        vec2 d = shadow_spread * sqrt((float(i) + 0.5) / float(TAPS)) * vec2(cos(angle), sin(angle));
        float depth = min(at.z, 0.999) + dot(d, slope) - 0.0005;
        sum += texture(shadow_map, vec3(at.xy + d, depth));
    }
    return sum / float(TAPS);
}

// Tangent frame from screen derivatives: no tangents to store or to deform.
vec3 bumped(vec3 n, vec3 t) {
    vec3 dp1 = dFdx(point), dp2 = dFdy(point);
    vec2 du1 = dFdx(place), du2 = dFdy(place);
    vec3 p1 = cross(n, dp1), p2 = cross(dp2, n);
    vec3 tangent = p2 * du1.x + p1 * du2.x;
    vec3 bitangent = p2 * du1.y + p1 * du2.y;
    float longest = max(dot(tangent, tangent), dot(bitangent, bitangent));
    if (longest <= 0.0) return n;
    float scale = inversesqrt(longest);
    return normalize(tangent * scale * t.x + bitangent * scale * t.y + n * t.z);
}

float smooth_fresnel(float c) { return pow(1.0 - c, 5.0); }

// GGX with the height-correlated visibility term.
float highlight(vec3 n, vec3 v, vec3 l, float r) {
    float a = r * r, a2 = a * a;
    vec3 h = normalize(v + l);
    float nh = max(dot(n, h), 0.0), nv = max(dot(n, v), 1e-3), nl = max(dot(n, l), 0.0);
    float d = nh * nh * (a2 - 1.0) + 1.0;
    float visibility = 0.5 / (nl * sqrt(nv * nv * (1.0 - a2) + a2) + nv * sqrt(nl * nl * (1.0 - a2) + a2) + 1e-5);
    return a2 / (PI * d * d) * visibility * nl;
}

// What a mirror would see: a dim room...
vec3 room(vec3 d, float r) {
    return mix(ground_colour, sky_colour, smoothstep(-0.6 - r, 0.6 + r, d.y));
}

// ...with a large soft box as the key light and strips as the rims. Dull surfaces see the lamps through the highlight
// instead; lamps of this size are that bright.
vec3 lamps(vec3 d, float r) {
    float edge = 0.04 + 0.9 * r;
    // The box hangs lower than the light comes from, or upper lids would hide its glint.
    vec3 key = normalize(light_direction[0] * vec3(0.5, 0.72, 1.0));
    float box = smoothstep(cos(0.20) - edge * 0.5, cos(0.20) + edge * 0.25, dot(d, key));
    float left = smoothstep(0.90 - edge, 0.90 + edge * 0.3, dot(d, light_direction[2]));
    float right = smoothstep(0.90 - edge, 0.90 + edge * 0.3, dot(d, light_direction[3]));
    float fade = 1.0 - smoothstep(0.10, 0.35, r);
    return fade * (light_colour[0] * box * 5.5 + (light_colour[2] * left + light_colour[3] * right) * 0.8);
}

// Colours stay true up to three quarters, then roll off to white.
vec3 filmic(vec3 c) {
    const float start = 0.72, desaturation = 0.15;
    float peak = max(c.r, max(c.g, c.b));
    if (peak < start) return c;
    float d = 1.0 - start;
    float rolled = 1.0 - d * d / (peak + d - start);
    c *= rolled / peak;
    float g = 1.0 - 1.0 / (desaturation * (peak - rolled) + 1.0);
    return mix(c, vec3(rolled), g);
}

vec3 to_srgb(vec3 c) {
    return mix(12.92 * c, 1.055 * pow(max(c, vec3(0.0)), vec3(1.0 / 2.4)) - 0.055, step(vec3(0.0031308), c));
}

void main() {
    vec4 albedo = base;
    if (has_colour_map == 1) albedo *= texture(colour_map, place);
    if (alpha_mode == 1 && albedo.a < 0.5) discard;
    if (alpha_mode == 2 && albedo.a < 0.004) discard;

    vec3 v = normalize(camera - point);
    vec3 flat_normal = normalize(normal_smooth);
    if (!gl_FrontFacing) flat_normal = -flat_normal;
    vec3 n = flat_normal;
    // Bumps fade out towards the silhouette, where they would tear its edge.
    if (has_normal_map == 1) {
        n = bumped(flat_normal, texture(normal_map, place).xyz * 2.0 - 1.0);
        n = normalize(mix(flat_normal, n, smoothstep(0.0, 0.4, dot(flat_normal, v))));
    }
    float r = roughness;
    if (has_roughness_map == 1) r *= texture(roughness_map, place).g;
    // Bumps smaller than a pixel widen the highlight instead of sparkling.
    vec3 dx = dFdx(n), dy = dFdy(n);
    r = clamp(sqrt(r * r + min(0.18, 0.5 * (dot(dx, dx) + dot(dy, dy)))), 0.05, 1.0);

    float nv = clamp(dot(n, v), 0.0, 1.0);
    vec3 f0 = mix(vec3(0.035), albedo.rgb, metallic);
    vec3 scatter = subsurface * vec3(0.55, 0.22, 0.13);  // red travels farthest under the skin
    vec3 open = pow(vec3(max(sky, 0.02)), mix(vec3(1.0), vec3(0.75, 1.0, 1.1), subsurface));

    vec3 diffuse = open * mix(ground_colour, sky_colour, 0.5 + 0.5 * mix(n.y, flat_normal.y, subsurface));
    vec3 mirror = vec3(0.0);
    for (int i = 0; i < 4; ++i) {
        vec3 l = light_direction[i];
        vec3 shade = vec3(1.0);
        float edge = dot(flat_normal, l);
        if (i == 0) {
            float s = lit_by_key(flat_normal, edge);
            shade = mix(vec3(s), pow(vec3(s), vec3(0.62, 0.92, 1.0)), subsurface);
        } else {
            shade = vec3(smoothstep(0.15, 0.85, sky));
        }
        // Each colour sees its own normal: red the smooth one, blue the bumped one.
        vec3 cosine = vec3(mix(dot(n, l), edge, 0.7 * subsurface), mix(dot(n, l), edge, 0.3 * subsurface), dot(n, l));
        vec3 wrapped = max((cosine + scatter) / ((1.0 + scatter) * (1.0 + scatter)), 0.0);
        diffuse += light_colour[i] * shade * wrapped;
        vec3 h = normalize(v + l);
        vec3 f = f0 + (1.0 - f0) * smooth_fresnel(max(dot(v, h), 0.0));
        if (coat > 0.5) continue;  // its lamps are in the reflection
        float lobes = highlight(n, v, l, r);
        // Skin has a second, sharper layer of oil; only the key is strong enough to show it.
        if (i == 0) lobes += 0.25 * subsurface * (highlight(n, v, l, 0.6 * r) - lobes);
        mirror += light_colour[i] * shade * f * min(lobes, 40.0) * PI * smoothstep(-0.05, 0.15, edge);
    }
    vec3 reflection = reflect(-v, n);
    vec3 f = f0 + (max(vec3(1.0 - r), f0) - f0) * smooth_fresnel(nv);
    float seen = clamp(pow(nv + sky, exp2(-16.0 * r - 1.0)) - 1.0 + sky, 0.0, 1.0);
    // An eye without its glint looks dead, and one that mirrors the room looks blind.
    mirror += f * (room(reflection, r) * seen * (1.0 - 0.7 * coat) + lamps(reflection, r) * mix(seen, 2.5, 0.8 * coat));
    if (alpha_mode == 2 && coat < 0.5) mirror *= 0.35;  // hairs on a card are no mirror

    vec3 result = albedo.rgb * (1.0 - metallic) * diffuse;
    float alpha = alpha_mode == 2 ? albedo.a * (1.0 - coat) : 1.0;
    float glint = coat * max(mirror.r, max(mirror.g, mirror.b)) * exposure * (1.0 - alpha);
    float cover = clamp(alpha + glint, 0.0, 1.0);
    result = mix(result + mirror, (result * alpha + mirror) / max(cover, 1e-3), coat);
    colour = vec4(to_srgb(filmic(result * exposure)), cover);
}
