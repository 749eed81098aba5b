#version 330 core
// SPDX-License-Identifier: Apache-2.0
// A lit studio wall: brightest behind the head, falling off to the corners. Output is sRGB.
in vec2 place;
uniform float aspect;
uniform vec3 wall;    // sRGB, where the light falls
uniform vec3 corner;  // sRGB, far from it
out vec4 colour;

// Ordered noise of one grey step keeps the gradient free of bands in 8 bits.
float bayer(vec2 p) {
    uvec2 q = uvec2(p) % 4u;
    uint m = q.x ^ q.y;
    return (float((m & 1u) << 3 | (q.y & 1u) << 2 | (m & 2u) | (q.y & 2u) >> 1) + 0.5) / 16.0 - 0.5;
}

void main() {
    vec2 d = (place - vec2(0.5, 0.56)) * vec2(aspect, 1.0);
    float fall = smoothstep(0.0, 1.0, length(d) / 0.95);
    colour = vec4(mix(wall, corner, fall) + bayer(gl_FragCoord.xy) / 255.0, 1.0);
}
